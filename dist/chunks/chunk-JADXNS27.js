import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{e as o}from"./chunk-P2Q2QAGS.js";import{setTimeout as u}from"node:timers/promises";async function m(e,r){let d={...e,budget:Math.min(e.budget,3e4)},f=performance.now();for(let n=1;;n++){let t=await r();if(t!==void 0)return t;let i=o(d,n,performance.now()-f,void 0);if(i===void 0)return;await u(i)}}export{m as a};
