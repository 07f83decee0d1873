import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-T7Y6G4YP.js";import"./chunk-DRDLY2V3.js";import"./chunk-QA27D5ZT.js";import"./chunk-EE2WDBRD.js";import"./chunk-CF4ARG6Z.js";import"./chunk-UMMWZOWA.js";import"./chunk-FFFAVLPI.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
