import { type Ended, mergeHere, startMerge } from './action.ts';
import { certificatesOf, certificatesTooMany, codesOfTime, isShortLived } from './certificates.ts';
import { DEFECTS, isDoomed } from './defect-drawing.ts';
import { mend } from './defects.ts';
import { Draw } from './draw.ts';
import { codesOf, type Fault, passes } from './fault.ts';
import { drawFaults, drawKill, type PlannedKill } from './fault-drawing.ts';
import { Judge } from './judge.ts';
import type { Services } from './services.ts';
import { SignedJudge } from './signed.ts';
import { USUAL_LIFETIME } from './signing.ts';
import { buildSite, type Site } from './site.ts';
import { stepEnvironment } from './step.ts';
import { type Kill, Weather } from './weather.ts';
import type { World } from './world.ts';
import { drawWorld } from './world-drawing.ts';

/** What came of one run. */
export interface Report {
  readonly name: string;
  /** Sentences; none when every promise held. */
  readonly violations: readonly string[];
  /** Kinds of the faults that met a request. */
  readonly met: readonly string[];
  /** How the merges in bad weather ended. */
  readonly outcomes: readonly string[];
  /** For who reads about a violation: the world, its faults, and what was logged. */
  readonly story: readonly string[];
}

export interface Tools {
  readonly services: Services;
  /** The bundled action, for merges that are killed. */
  readonly entry: string;
}

/** Seconds: long enough for all that passes, and short where something stays. */
const LONG = 600;
const SHORT = 2;

/** One world, merged in bad weather, judged, merged again in good weather, and judged again. */
export async function runOnce(name: string, tools: Tools): Promise<Report> {
  const world = drawWorld(name);
  const draw = new Draw(`${name}/weather`);
  const faults = drawFaults(world, draw);
  const kill = draw.chance(0.25) ? drawKill(world, draw) : undefined;
  tools.services.sigstore.authority.lifetime = world.signing?.lifetime ?? USUAL_LIFETIME;
  const site = await buildSite(world, tools.services);
  try {
    return await new Run(site, faults, kill, tools).play();
  } finally {
    tools.services.sky.weather = new Weather();
    await site.close();
  }
}

class Run {
  readonly #site: Site;
  readonly #world: World;
  readonly #faults: readonly Fault[];
  readonly #kill: PlannedKill | undefined;
  readonly #tools: Tools;
  readonly #signed: SignedJudge;
  readonly #judge: Judge;
  readonly #violations: string[] = [];
  readonly #met = new Set<string>();
  readonly #outcomes: string[] = [];
  readonly #story: string[] = [];

  constructor(site: Site, faults: readonly Fault[], kill: PlannedKill | undefined, tools: Tools) {
    this.#site = site;
    this.#world = site.world;
    this.#faults = faults;
    this.#kill = kill;
    this.#tools = tools;
    this.#signed = new SignedJudge(site, tools.services.signatures);
    this.#judge = new Judge(site, this.#signed);
  }

  async play(): Promise<Report> {
    const { defect, attempt, merges, name } = this.#world;
    this.#story.push(`world: ${JSON.stringify(this.#world, null, 1)}`, ...this.#faults.map(describeFault));
    if (this.#kill !== undefined) this.#story.push(`kill: ${JSON.stringify(this.#kill)}`);
    for (const position of merges.keys()) {
      const kill = this.#kill?.merge === position ? this.#kill : undefined;
      const outcome = await this.#inBadWeather(position, kill);
      if (outcome === 'killed' && kill?.isFollowed) await this.#inBadWeather(position);
    }
    let last = attempt;
    if (defect !== undefined) {
      for (const components of merges) await this.#mayFail(components);
      last = attempt + 1;
      mend(this.#site, defect, last);
    }
    const isDone = defect === undefined && this.#outcomes.every(outcome => outcome === 'success');
    if (!isDone) await this.#cleanMerges('the clean re-run', last);
    await this.#nothingIsLeft(last);
    this.#check('the consumer', await this.#tools.services.consumer.disagreements(this.#signed.questions));
    return {
      name,
      violations: this.#violations,
      met: [...this.#met],
      outcomes: this.#outcomes,
      story: this.#story,
    };
  }

  /** The merge that everything may happen to. @returns how it ended */
  async #inBadWeather(position: number, kill?: Kill): Promise<string> {
    const components = this.#world.merges[position] ?? [];
    const weather = new Weather(this.#faults, kill);
    const stays = this.#world.defect !== undefined || !this.#faults.every(passes);
    const before = this.#judge.fingerprint();
    const ended = await this.#merge(
      weather,
      components,
      this.#world.attempt,
      stays ? SHORT : LONG,
      kill !== undefined,
    );
    const met = weather.met();
    for (const { kind } of met) this.#met.add(kind);
    if (weather.killed) this.#met.add('kill');
    this.#outcomes.push(ended.outcome);
    this.#keptOut(components, before);
    if (ended.outcome === 'killed') this.#check('after the kill', this.#wrongs());
    else
      this.#judgeOutcome(`the merge of ${components.join(', ')}`, ended, components, [
        ...met.flatMap(fault => codesOf(fault, !stays)),
        ...codesOfTime(this.#world.signing, met),
      ]);
    return ended.outcome;
  }

  #wrongs(): string[] {
    return this.#judge.faults(this.#met.has('lost write'));
  }

  /** Without faults, but with what is wrong with the run itself. */
  async #mayFail(components: readonly string[]): Promise<void> {
    const before = this.#judge.fingerprint();
    const ended = await this.#merge(new Weather(), components, this.#world.attempt, SHORT);
    this.#keptOut(components, before);
    this.#judgeOutcome(`the merge of ${components.join(', ')} in good weather`, ended, components, []);
  }

  /** What can never succeed is refused before anything is pushed. */
  #keptOut(components: readonly string[], before: string): void {
    if (isDoomed(this.#world, components) && this.#judge.fingerprint() !== before)
      this.#check(`the merge of ${components.join(', ')}`, ['it wrote, although it can never succeed']);
  }

  #judgeOutcome(
    what: string,
    { outcome }: Ended,
    components: readonly string[],
    excused: readonly string[],
  ): void {
    this.#check(what, this.#wrongs());
    const { defect } = this.#world;
    const codes = [...excused, ...(defect === undefined ? [] : DEFECTS[defect.kind].codes)];
    const doomed = isDoomed(this.#world, components);
    if (outcome !== 'success' && !codes.includes(outcome))
      this.#check(what, [`it ended with "${outcome}", and there was no reason for it`]);
    if (doomed)
      this.#check(
        what,
        components.flatMap(component => this.#judge.movedAnyway(component)),
      );
    if (outcome === 'success' && doomed) this.#check(what, [`it succeeded, in spite of: ${defect?.kind}`]);
    if (outcome === 'success' && !doomed)
      this.#check(
        what,
        components.flatMap(component => this.#judge.unfinished(component)),
      );
  }

  /** Every clean merge succeeds and brings all tags to where they belong. */
  async #cleanMerges(which: string, attempt: number): Promise<void> {
    for (const components of this.#world.merges) {
      const { outcome } = await this.#merge(new Weather(), components, attempt, LONG);
      const what = `${which} of ${components.join(', ')}`;
      if (outcome !== 'success') this.#check(what, [`it ended with "${outcome}"`]);
      this.#check(
        what,
        components.flatMap(component => this.#judge.unfinished(component)),
      );
    }
    this.#check(which, this.#wrongs());
  }

  /** Where all is as it should be, a merge writes nothing and signs nothing. */
  async #nothingIsLeft(attempt: number): Promise<void> {
    const { sigstore } = this.#tools.services;
    const [before, signed] = [this.#judge.fingerprint(), sigstore.log.length];
    await this.#cleanMerges('one more merge', attempt);
    if (this.#judge.fingerprint() !== before)
      this.#check('one more merge', ['it changed what the registries hold']);
    if (sigstore.log.length !== signed) this.#check('one more merge', ['it asked Sigstore for something']);
  }

  async #merge(
    weather: Weather,
    components: readonly string[],
    attempt: number,
    budget: number,
    inProcess = false,
  ): Promise<Ended> {
    const { sky, sigstore } = this.#tools.services;
    sky.weather = weather;
    const env = stepEnvironment(this.#site, components, { budget, attempt });
    const certificates = certificatesOf(sigstore);
    let ended: Ended;
    if (inProcess) {
      const running = startMerge(this.#tools.entry, env);
      weather.onKill = running.kill;
      ended = await running.ended;
    } else {
      ended = await mergeHere(env);
    }
    await weather.settled();
    const asked = certificatesOf(sigstore) - certificates;
    if (asked > 1 && isShortLived(this.#world.signing)) this.#met.add('a certificate that ran out');
    this.#check('the merge', certificatesTooMany(this.#world.signing, asked, weather.met()));
    this.#story.push(
      `--- merge of ${components.join(', ')}, attempt ${attempt}: ${ended.outcome}`,
      ...weather.trace,
      ...ended.log,
    );
    return ended;
  }

  #check(what: string, found: readonly string[]): void {
    this.#violations.push(...found.map(sentence => `${what}: ${sentence}`));
  }
}

function describeFault(fault: Fault): string {
  const { kind, service, on = 'request', nth, times } = fault;
  return `fault: ${kind}: ${service}, ${on} ${nth}, ${times === Number.POSITIVE_INFINITY ? 'for ever' : `${times} times`}`;
}
