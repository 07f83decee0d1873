import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var o=process.getBuiltinModule("node:fs"),t=e=>o[e],n=o;var c=t("accessSync");var r=t("mkdirSync");var s=t("mkdtempSync");var p=t("readdirSync");var x=t("readFileSync");var a=t("statSync");var y=t("writeFileSync");var i=t("constants");export{n as a,c as b,r as c,s as d,p as e,x as f,a as g,y as h,i};
