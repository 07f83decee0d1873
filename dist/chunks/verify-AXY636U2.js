import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-DKEVAMH4.js";import"./chunk-IIVC7DON.js";import"./chunk-EDSXNRLZ.js";import"./chunk-GZMBX6HC.js";import"./chunk-UMMWZOWA.js";import"./chunk-INPMCGW5.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
