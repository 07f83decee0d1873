import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var r=process.getBuiltinModule("node:crypto"),e=t=>r[t];var o=e("createHash"),c=e("createHmac");var n=e("createSign");var p=e("generateKeyPair");var s=e("randomBytes");var a=e("X509Certificate");export{o as a,c as b,n as c,p as d,s as e,a as f};
