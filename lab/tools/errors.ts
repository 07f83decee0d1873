/**
 * What can go wrong here by nobody's mistake in the code. The messages are whole sentences for a person; a
 * program prints them without a stack, and ends with code 1.
 */

/** The machine, or the cache, lacks something; the message says what, and how to get it. */
export class MissingRequirement extends Error {}

/** A command ended badly. The message holds the end of its output, and where the rest is. */
export class CommandFailed extends Error {}

/** Somebody asked this program to stop. */
export class Interrupted extends Error {}
