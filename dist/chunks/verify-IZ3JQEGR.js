import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-DGEDPFIP.js";import"./chunk-H7CITHJG.js";import"./chunk-PSJ4P5I5.js";import"./chunk-AILCZOFG.js";import"./chunk-UMMWZOWA.js";import"./chunk-RNBHEUFV.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
