import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from './buildkit.ts';
import { check } from './command.ts';
import type { Guard } from './guard.ts';

interface Emulator {
  readonly interpreter: string;
  /** The first bytes of an ELF file of this architecture, and which bits of them count (qemu-binfmt-conf.sh). */
  readonly magic: string;
  readonly mask: string;
}

const escaped = (hex: string): string => hex.replace(/../g, byte => `\\x${byte}`);

const emulators: Readonly<Record<Architecture, Emulator>> = {
  arm64: {
    interpreter: '/usr/bin/qemu-aarch64-static',
    magic: '7f454c460201010000000000000000000200b700',
    mask: 'ffffffffffffff00fffffffffffffffffeffffff',
  },
  amd64: {
    interpreter: '/usr/bin/qemu-x86_64-static',
    magic: '7f454c4602010100000000000000000002003e00',
    mask: 'fffffffffffefe00fffffffffffffffffeffffff',
  },
};

/**
 * Lets the kernel run programs of another architecture through QEMU, also inside containers (flag F: the interpreter
 * is opened now, and need not be found there later).
 *
 * The entry has a name of this lab's own, and binfmt_misc is mounted in the lab's folder: both are ours alone, so the
 * end of this lab takes nothing from the machine or from another lab, and whatever they had registered stays.
 */
export async function registerEmulator(
  guard: Guard,
  architecture: Architecture,
  asRoot: readonly string[],
): Promise<void> {
  const { interpreter, magic, mask } = emulators[architecture];
  const directory = join(guard.directory, `binfmt-${architecture}`);
  const name = `${guard.directory.replace(/.*\//, '')}-${architecture}`;
  await mkdir(directory);
  guard.mount(directory);
  guard.binfmt(join(directory, name));
  const root = (...words: string[]): Promise<string> => {
    const [command = '', ...args] = [...asRoot, ...words];
    return check(command, args);
  };
  await root('mount', '-t', 'binfmt_misc', 'binfmt_misc', directory);
  const entry = `:${name}:M::${escaped(magic)}:${escaped(mask)}:${interpreter}:OCF`;
  // The kernel takes an entry in one write, which printf does.
  await root('sh', '-c', `printf %s "$1" >"$2"`, 'sh', entry, join(directory, 'register'));
}
