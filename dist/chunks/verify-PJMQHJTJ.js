import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-3ITO76RN.js";import"./chunk-Q7VLCF6Q.js";import"./chunk-PZVO7OPM.js";import"./chunk-SWBYNIOJ.js";import"./chunk-UMMWZOWA.js";import"./chunk-MIFKFE7W.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
