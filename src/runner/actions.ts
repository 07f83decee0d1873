import * as core from '@actions/core';
import { keepSecret, ManifoldError, messageOf } from '../errors.ts';

/** How a mode speaks to the person who reads the log, and to the steps after it. */
export interface Runner {
  readonly info: (message: string) => void;
  readonly notice: (message: string) => void;
  readonly warning: (message: string) => void;
  /** Keeps a value out of every log from now on. */
  readonly mask: (secret: string) => void;
  readonly output: (name: string, value: string) => void;
  /** Adds Markdown to the job's summary page. */
  readonly summary: (markdown: string) => Promise<void>;
  readonly group: <T>(title: string, work: () => Promise<T>) => Promise<T>;
}

export const runner: Runner = {
  info: message => core.info(harmless(message)),
  notice: message => core.notice(message),
  warning: message => core.warning(message),
  mask: secret => {
    // An empty mask would turn every character of the log into stars.
    if (secret.trim() === '') return;
    keepSecret(secret);
    core.setSecret(secret);
  },
  output: (name, value) => {
    try {
      core.setOutput(name, value);
    } catch (error) {
      // What is published is published: that later steps cannot read of it must not undo the step.
      core.warning(`The output "${name}" could not be written: ${messageOf(error)}`);
    }
  },
  summary: async markdown => {
    if (!process.env.GITHUB_STEP_SUMMARY) return; // not every runner has a place for it
    try {
      await core.summary.addRaw(markdown, true).write();
    } catch (error) {
      // The work is done by then: a page that cannot be written must not make it fail.
      core.warning(`The summary could not be written: ${messageOf(error)}`);
    }
  },
  group: core.group,
};

/**
 * A text with a workflow command in it would be one, wherever it came from: those with colons at the beginning of a line,
 * those with brackets anywhere (runner, ActionCommand.cs).
 */
function harmless(message: string): string {
  return message.replace(/^(\s*)::/gm, '$1\u200b::').replaceAll('##[', '##\u200b[');
}

/** Fails the step with a sentence, its remedy and its code; what lies underneath goes to the debug log. */
export function fail(error: unknown): void {
  if (error instanceof ManifoldError) {
    const hint = error.hint === undefined ? '' : `\n${error.hint}`;
    core.error(`${error.message}${hint}`, { title: `Manifold: ${error.code}` });
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
      core.debug(`caused by: ${cause.stack}`);
  } else {
    const stack = error instanceof Error ? error.stack : undefined;
    core.error(`${messageOf(error)}\nThis is a fault of Manifold itself: please report it with this log.`, {
      title: 'Manifold: internal error',
    });
    if (stack !== undefined) core.info(stack);
  }
  process.exitCode = core.ExitCode.Failure;
}
