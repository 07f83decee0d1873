import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var o=process.getBuiltinModule("node:fs"),t=e=>o[e],n=o;var c=t("accessSync");var r=t("readdirSync");var s=t("readFileSync");var p=t("constants");export{n as a,c as b,r as c,s as d,p as e};
