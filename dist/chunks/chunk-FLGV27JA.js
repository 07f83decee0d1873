import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var t=process.getBuiltinModule("node:stream"),e=o=>t[o],n=t;var a=e("Readable");var p=e("Transform");var c=e("pipeline");var i=e("finished");var r=process.getBuiltinModule("node:http");var l=r;var s=process.getBuiltinModule("node:https");var g=s;export{l as a,g as b,n as c,a as d,p as e,c as f,i as g};
