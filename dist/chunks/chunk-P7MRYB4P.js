import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var t=process.getBuiltinModule("node:util"),e=o=>t[o],r=t;var s=e("inspect");var n=e("promisify");export{r as a,s as b,n as c};
