import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var o=process.getBuiltinModule("node:stream"),t=e=>o[e],p=o;var a=t("Readable");var x=t("Transform");var i=t("pipeline");var l=t("finished");var n=process.getBuiltinModule("node:fs"),r=e=>n[e],y=n;var d=r("readdirSync");var m=r("readFileSync");var c=process.getBuiltinModule("node:http");var f=c;var s=process.getBuiltinModule("node:https");var h=s;export{f as a,h as b,p as c,a as d,x as e,i as f,l as g,y as h,d as i,m as j};
