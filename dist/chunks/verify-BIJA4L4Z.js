import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-PFNMVZBY.js";import"./chunk-EDXSDSF7.js";import"./chunk-MS4ZLIWT.js";import"./chunk-NY6VUR5A.js";import"./chunk-UMMWZOWA.js";import"./chunk-FFFAVLPI.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
