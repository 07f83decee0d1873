import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var t=class extends Error{name="ManifoldError";code;hint;constructor(i,n,r={}){super(n,r.cause===void 0?void 0:{cause:r.cause}),this.code=i,this.hint=r.hint}};function d(e){return e instanceof Error?e.message:String(e)}function s(e,i=200){let n=e.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g," ").trim();return n.length>i?`${n.slice(0,i)}\u2026`:n}export{t as a,d as b,s as c};
