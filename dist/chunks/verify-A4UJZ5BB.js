import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-WB7EWZ4P.js";import"./chunk-VQ4A7LLI.js";import"./chunk-TKNYVGXR.js";import"./chunk-OFXTPXUD.js";import"./chunk-CF4ARG6Z.js";import"./chunk-UMMWZOWA.js";import"./chunk-FFFAVLPI.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
