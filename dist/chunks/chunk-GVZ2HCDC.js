import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var o=process.getBuiltinModule("node:os"),t=e=>o[e],n=o;var p=t("homedir");var a=t("tmpdir");var c=t("EOL");var r=process.getBuiltinModule("node:path"),s=e=>r[e],x=r;var l=s("dirname");export{n as a,p as b,a as c,c as d,x as e,l as f};
