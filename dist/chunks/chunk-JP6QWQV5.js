import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var o=process.getBuiltinModule("node:fs"),n=e=>o[e],p=o;var a=n("readdirSync");var x=n("readFileSync");var r=process.getBuiltinModule("node:stream"),t=e=>r[e],l=r;var S=t("Readable");var y=t("Transform");var d=t("pipeline");var m=t("finished");var c=process.getBuiltinModule("node:http");var f=c;var s=process.getBuiltinModule("node:https");var h=s;export{f as a,h as b,l as c,S as d,y as e,d as f,m as g,p as h,a as i,x as j};
