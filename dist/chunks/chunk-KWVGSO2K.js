import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var r=process.getBuiltinModule("node:crypto"),e=t=>r[t];var o=e("createHash"),c=e("createHmac");var n=e("createPublicKey");var p=e("createSign");var s=e("generateKeyPair");var a=e("randomBytes");var i=e("randomUUID");var x=e("verify");var y=e("X509Certificate");export{o as a,c as b,n as c,p as d,s as e,a as f,i as g,x as h,y as i};
