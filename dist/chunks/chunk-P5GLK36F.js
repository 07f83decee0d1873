import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var e=process.getBuiltinModule("node:url"),o=t=>e[t];var r=o("domainToASCII");var n=o("fileURLToPath");export{r as a,n as b};
