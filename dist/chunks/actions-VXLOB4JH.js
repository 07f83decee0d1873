import { createRequire as manifoldCreateRequire } from 'node:module';
const require = manifoldCreateRequire(import.meta.url);
import{g as c,n as d,o as u,r as f,t as l,u as i,v as t,w as m,x as s,y as g}from"./chunk-Y2G5ICAJ.js";import{a,b as r}from"./chunk-RNBHEUFV.js";import"./chunk-W45Z57FI.js";var w={info:s,notice:e=>m(e),warning:e=>t(e),mask:e=>{e.trim()!==""&&u(e)},output:(e,n)=>f(e,n),summary:async e=>{if(process.env.GITHUB_STEP_SUMMARY)try{await c.addRaw(e,!0).write()}catch(n){t(`The summary could not be written: ${r(n)}`)}},group:g};function v(e){if(e instanceof a){let n=e.hint===void 0?"":`
${e.hint}`;i(`${e.message}${n}`,{title:`Manifold: ${e.code}`});for(let o=e.cause;o instanceof Error;o=o.cause)l(`caused by: ${o.stack}`)}else{let n=e instanceof Error?e.stack:void 0;i(`${r(e)}
This is a fault of Manifold itself: please report it with this log.`,{title:"Manifold: internal error"}),n!==void 0&&s(n)}process.exitCode=d.Failure}export{v as fail,w as runner};
