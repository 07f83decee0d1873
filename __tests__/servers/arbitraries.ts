import fc from 'fast-check';

/** Any text of any 16-bit units, lone surrogates and control characters included. */
export const anyText = fc.string({ unit: fc.nat({ max: 0xffff }).map(unit => String.fromCharCode(unit)) });
