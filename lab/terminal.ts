const colours = process.stdout.isTTY && process.env.NO_COLOR === undefined;

function paint(code: number, text: string): string {
  return colours ? `\u001b[${code}m${text}\u001b[0m` : text;
}

export const bold = (text: string): string => paint(1, text);
export const dim = (text: string): string => paint(2, text);
export const green = (text: string): string => paint(32, text);
export const red = (text: string): string => paint(31, text);

export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** Runs a step under a heading and says how long it took, also when it fails. */
export async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  say();
  say(bold(title));
  const start = performance.now();
  try {
    return await work();
  } finally {
    say(dim(`  └ ${((performance.now() - start) / 1000).toFixed(1)} s`));
  }
}

/** A line of a step. */
export function note(line: string): void {
  say(`  ${dim('│')} ${line}`);
}
