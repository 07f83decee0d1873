import type { Report } from './run.ts';

/** Stories that are shown in full; of later violations the names are enough. */
const SHOWN = 3;

/** Counts what came of all runs, and tells of it. */
export class Tally {
  failed = 0;
  readonly #expected: number;
  readonly #started = Date.now();
  readonly #met = new Map<string, number>();
  readonly #outcomes = new Map<string, number>();
  #played = 0;
  #last: Report | undefined;

  constructor(expected: number) {
    this.#expected = expected;
  }

  add(report: Report): void {
    this.#played++;
    this.#last = report;
    for (const kind of report.met) count(this.#met, kind);
    for (const outcome of report.outcomes) count(this.#outcomes, outcome);
    if (report.violations.length === 0) return;
    this.failed++;
    const [seed, run] = report.name.split('/');
    console.error(`\nVIOLATED in run ${report.name}; again alone: make chaos SEED=${seed} RUN=${run}`);
    for (const violation of report.violations) console.error(`  ${violation}`);
    if (this.failed <= SHOWN) console.error(report.story.join('\n'));
  }

  progress(): void {
    console.log(`${this.#played} of ${this.#expected} runs, ${this.failed} violated, ${this.#rate()}`);
  }

  /** @param withStory a single run, which somebody wants to see */
  finish(withStory: boolean): void {
    if (withStory && this.failed === 0) console.log(this.#last?.story.join('\n'));
    console.log(table('Runs that met a fault, by kind', this.#met));
    console.log(table('Merges in bad weather, by outcome', this.#outcomes));
    this.progress();
  }

  #rate(): string {
    const seconds = (Date.now() - this.#started) / 1000;
    return `${(this.#played / seconds).toFixed(1)} a second, ${seconds.toFixed(0)} s`;
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function table(title: string, counts: ReadonlyMap<string, number>): string {
  const rows = [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([name, number]) => `${String(number).padStart(7)}  ${name}`);
  return [title, ...rows].join('\n');
}
