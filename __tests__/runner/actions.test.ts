import { afterEach, expect, it, vi } from 'vitest';
import { runner } from '../../src/runner/actions.ts';

afterEach(() => vi.restoreAllMocks());

/** What the log gets. */
function logged(message: string): string {
  const lines: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation(text => lines.push(String(text)) > 0);
  runner.info(message);
  return lines.join('');
}

it.each([
  '::set-output name=digest::evil',
  '  ::add-mask::x',
  'a line\n::stop-commands::x',
  '##[set-output name=digest;]evil',
  // The runner looks for brackets anywhere in a line (ActionCommand.cs).
  '  linux/amd64  signed  ##[set-output name=digest;]evil',
  '###[error]x',
])('no text in the log is a command: %j', message => {
  const text = logged(message);
  expect(text).not.toMatch(/^\s*::/m);
  expect(text).not.toContain('##[');
  // A person sees the same.
  expect(text.replaceAll('\u200b', '').trim()).toBe(message.trim());
});

it('what is none stays as it is', () => {
  expect(logged('a::b # [x] ## y').trim()).toBe('a::b # [x] ## y');
});
