/** Plays every so many-th run of a seed in a process of its own, and reports each to its parent. */
import { runOnce } from './run.ts';
import { startServices } from './services.ts';

// The bundled action, the seed, the first run, the one after the last, and the step from one to the next.
const [entry = '', seed = '', first, end, step] = process.argv.slice(2);

// Nobody would hear of what is still to come.
process.once('disconnect', () => process.exit(1));

const services = await startServices();
for (let number = Number(first); number < Number(end); number += Number(step)) {
  const report = await runOnce(`${seed}/${number}`, { services, entry });
  process.send?.(report);
}
await services.close();
process.exit();
