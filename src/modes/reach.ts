import { DEFAULT_RETRY } from '../http/retry.ts';
import { Transport } from '../http/transport.ts';
import { Registries } from '../registry/client.ts';
import type { Runner } from '../runner/actions.ts';
import { VERSION } from '../version.ts';

/** What a mode reaches the world by. Whoever opens it closes the transport. */
export interface Reach {
  readonly transport: Transport;
  readonly registries: Registries;
}

/** The inputs of every mode that say how. */
interface Ways {
  readonly retryBudget: number;
  readonly insecureRegistries: ReadonlySet<string>;
}

export function openReach(ways: Ways, runner: Runner, env: NodeJS.ProcessEnv): Reach {
  const retry = { ...DEFAULT_RETRY, budget: ways.retryBudget };
  const onSecret = runner.mask;
  const userAgent = `manifold/${VERSION}`;
  const transport = new Transport({ env, retry, userAgent, onRetry: runner.info, onSecret });
  const registries = new Registries({ env, transport, onSecret, insecure: ways.insecureRegistries });
  return { transport, registries };
}
