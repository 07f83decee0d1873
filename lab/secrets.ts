import { readdirSync, readFileSync } from 'node:fs';
import type { Lab } from './lab.ts';
import type { RunResult } from './runner.ts';

/** Any JSON Web Token: the lab's identity, registry and runtime tokens all are. */
const JSON_WEB_TOKEN = /eyJ[\w-]{10,}\.eyJ[\w-]{10,}/;
/** The signature of a signed address, by which whoever has it may read or write an artifact. */
const SIGNED_ADDRESS = /[?&]sig=(?!\*)[\w%-]{8,}/;

/** The artifact client writes the address that it uploads to, and has the runner mask what signs it. */
const isLeftToMasking = (place: string, kind: string): boolean =>
  place === 'the log before masking' && kind === 'a signed address';

/**
 * Looks for the lab's secrets in everything that a job shows: its log before and after masking, outputs, summary,
 * annotations, the records that it leaves, and the command lines of all its processes.
 */
export class SecretWatch {
  readonly #kinds: readonly (readonly [kind: string, isIn: (text: string) => boolean])[];
  readonly #commandLines = new Set<string>();

  /** @param further secrets of this job alone */
  constructor(lab: Lab, further: readonly string[]) {
    const passwords = lab.registries.flatMap(({ credentials }) =>
      credentials === undefined
        ? []
        : [
            credentials.password,
            Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64'),
          ],
    );
    const known = [...new Set([...passwords, ...further])].filter(secret => secret.length > 3);
    this.#kinds = [
      ['a JSON Web Token', text => JSON_WEB_TOKEN.test(text)],
      ['a signed address', text => SIGNED_ADDRESS.test(text)],
      ['a password or token', text => known.some(secret => text.includes(secret))],
    ];
  }

  /** Notes the command lines of all processes of a group, at a moment when the job does something. */
  look(group: number): void {
    for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
      try {
        const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
        // The name of the program stands in parentheses and may hold anything: the fields begin behind the last one.
        const [, , pgrp] = status.slice(status.lastIndexOf(')') + 2).split(' ');
        if (Number(pgrp) !== group) continue;
        this.#commandLines.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** @throws Error that names where a secret is shown, and not the secret */
  check(result: RunResult, records: readonly string[]): void {
    // To be masked, a secret is told to the runner; that line is never shown.
    const raw = result.rawLog.split('\n').filter(line => !line.startsWith('::add-mask::'));
    const places: Record<string, string> = {
      'the log': result.log,
      'the log before masking': raw.join('\n'),
      'the summary': result.summary,
      'the outputs': JSON.stringify(result.outputs),
      'an annotation': JSON.stringify(result.annotations),
      'the variables for later steps': JSON.stringify(result.exported),
      'a record': records.join('\n'),
      'a command line': [...this.#commandLines].join('\n'),
    };
    for (const [place, text] of Object.entries(places)) {
      const found = this.#kinds.find(([kind, isIn]) => isIn(text) && !isLeftToMasking(place, kind));
      if (found !== undefined) throw new Error(`${place} of a job shows ${found[0]}`);
    }
  }
}
