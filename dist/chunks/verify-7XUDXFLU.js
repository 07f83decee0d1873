import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-A6537HVV.js";import"./chunk-D6CAMJDZ.js";import"./chunk-IN3NBRGH.js";import"./chunk-SWBYNIOJ.js";import"./chunk-UMMWZOWA.js";import"./chunk-MIFKFE7W.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
