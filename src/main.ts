import { readInputs, readMode } from './inputs.ts';
import { VERSION } from './version.ts';

/** Milliseconds in which the log is flushed after the work is done. */
const GRACE = 1000;

/** Picks the mode, loads nothing but what it needs, and is the only place where errors end. */
async function main(): Promise<void> {
  try {
    console.log(`Manifold ${VERSION}: ${readMode(process.env)}`);
    const inputs = readInputs(process.env);
    const { runner } = await import('./runner/actions.ts');
    switch (inputs.mode) {
      case 'build': {
        const { build } = await import('./modes/build.ts');
        return await build(inputs, runner, process.env);
      }
      case 'merge': {
        const { merge } = await import('./modes/merge.ts');
        return await merge(inputs, runner, process.env);
      }
      case 'verify': {
        const { verify } = await import('./modes/verify.ts');
        return await verify(inputs, runner, process.env);
      }
    }
  } catch (error) {
    const { fail } = await import('./runner/actions.ts');
    fail(error);
  } finally {
    // What a library still tries in the background must not keep the job waiting. The timer itself does not.
    setTimeout(() => process.exit(), GRACE).unref();
  }
}

await main();
