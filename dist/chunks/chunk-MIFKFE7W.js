import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
var t=class extends Error{name="ManifoldError";code;hint;constructor(n,i,r={}){super(i,r.cause===void 0?void 0:{cause:r.cause}),this.code=n,this.hint=r.hint}};function d(e){return e instanceof Error?e.message:String(e)}function s(e,n=200){let i=e.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g," ").trim();return i.length>n?`${i.slice(0,n)}\u2026`:i}export{t as a,d as b,s as c};
