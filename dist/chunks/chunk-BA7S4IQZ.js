import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{e as o}from"./chunk-P2Q2QAGS.js";import{setTimeout as d}from"node:timers/promises";async function s(r,i){let f=performance.now();for(let e=1;;e++){let n=await i();if(n!==void 0)return n;let t=o(r,e,performance.now()-f,void 0);if(t===void 0)return;await d(t)}}export{s as a};
