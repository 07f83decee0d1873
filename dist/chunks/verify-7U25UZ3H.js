import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{a,b}from"./chunk-6C7LDX4Y.js";import"./chunk-V2GPR4T7.js";import"./chunk-TBX3XIIG.js";import"./chunk-JZZRGM3A.js";import"./chunk-CF4ARG6Z.js";import"./chunk-UMMWZOWA.js";import"./chunk-FFFAVLPI.js";import"./chunk-W45Z57FI.js";export{a as BundleVerifier,b as searchSignatures};
