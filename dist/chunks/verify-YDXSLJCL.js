import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-7VM3AZYT.js";import"./chunk-PRRR5BQ5.js";import"./chunk-OLYG34LT.js";import"./chunk-IHPUFLLH.js";import"./chunk-UMMWZOWA.js";import"./chunk-CO4PJAG7.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
