/** An annotation, as a step's log and the run's page show it. */
export interface Annotation {
  readonly level: 'error' | 'warning' | 'notice';
  readonly message: string;
  readonly title: string | undefined;
  readonly file: string | undefined;
  readonly line: string | undefined;
}

interface Command {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly message: string;
}

/** GitHub shows ten annotations of a kind for a step, each of 4096 characters (ExecutionContext.cs). */
const annotationLimit = 10;
const messageLimit = 4096;

/** Values that never appear in a log: the runner puts asterisks in their place. */
export class Masks {
  readonly #values = new Set<string>();

  /** Masks the value, each of its lines, and the ways in which it is commonly written into something else. */
  add(value: string): void {
    for (const part of [value, ...value.split(/\r?\n/)]) {
      if (part.trim() === '') continue;
      this.#values.add(part);
      this.#values.add(JSON.stringify(part).slice(1, -1));
      this.#values.add(encodeURIComponent(part));
    }
  }

  apply(text: string): string {
    // Longest first: a secret may be a part of another.
    const values = [...this.#values].sort((a, b) => b.length - a.length);
    return values.reduce((masked, value) => masked.replaceAll(value, '***'), text);
  }

  /** Whether a text holds a masked value; a job output that does is dropped whole. */
  found(text: string): boolean {
    return this.apply(text) !== text;
  }
}

/** Reads a step's output line by line, as the runner does: obeys the commands in it, and masks what is left. */
export class StepLog {
  /** As a person sees it. */
  readonly lines: string[] = [];
  /** As the step wrote it: only a test may look at this, to find what should have been masked. */
  readonly raw: string[] = [];
  readonly annotations: Annotation[] = [];
  readonly #masks: Masks;
  readonly #debug: boolean;
  readonly #onLine: (line: string) => void;
  #stopToken: string | undefined;

  constructor(masks: Masks, debug: boolean, onLine: (line: string) => void) {
    this.#masks = masks;
    this.#debug = debug;
    this.#onLine = onLine;
  }

  take(line: string): void {
    this.raw.push(line);
    const command = parseCommand(line);
    if (this.#stopToken !== undefined) {
      if (command?.name === this.#stopToken) this.#stopToken = undefined;
      else this.#show(line);
    } else if (command) {
      this.#obey(command, line);
    } else {
      this.#show(line);
    }
  }

  /** An annotation of the runner's own. */
  annotate(level: Annotation['level'], message: string): void {
    this.#annotate({ name: level, properties: {}, message }, level);
  }

  #obey(command: Command, line: string): void {
    switch (command.name) {
      case 'add-mask':
        this.#masks.add(command.message);
        break;
      case 'stop-commands':
        this.#stopToken = command.message;
        break;
      case 'error':
      case 'warning':
      case 'notice':
        this.#annotate(command, command.name);
        break;
      case 'debug':
        if (this.#debug) this.#show(`##[debug]${command.message}`);
        break;
      case 'group':
        this.#show(`##[group]${command.message}`);
        break;
      case 'endgroup':
        this.#show('##[endgroup]');
        break;
      case 'echo':
        break;
      default:
        this.#show(line);
    }
  }

  #annotate(command: Command, level: Annotation['level']): void {
    const message = this.#masks.apply(command.message);
    this.#show(`##[${level}]${message}`);
    if (this.annotations.filter(other => other.level === level).length >= annotationLimit) return;
    const { title, file, line } = command.properties;
    this.annotations.push({ level, message: message.slice(0, messageLimit), title, file, line });
  }

  #show(text: string): void {
    for (const line of this.#masks.apply(text).split('\n')) {
      this.lines.push(line);
      this.#onLine(line);
    }
  }
}

/** `::name key=value,key=value::message`, with percent escapes (runner, ActionCommand.cs). */
function parseCommand(line: string): Command | undefined {
  const text = line.trimStart();
  const end = text.indexOf('::', 2);
  if (!text.startsWith('::') || end < 3) return undefined;
  const head = text.slice(2, end);
  const space = head.indexOf(' ');
  const pairs = space < 0 ? [] : head.slice(space + 1).split(',');
  const properties = pairs.flatMap(pair => {
    const equals = pair.indexOf('=');
    return equals < 0 ? [] : [[pair.slice(0, equals).trim(), unescapeProperty(pair.slice(equals + 1))]];
  });
  return {
    name: space < 0 ? head : head.slice(0, space),
    properties: Object.fromEntries(properties),
    message: unescapeMessage(text.slice(end + 2)),
  };
}

function unescapeMessage(text: string): string {
  return text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
}

function unescapeProperty(text: string): string {
  return unescapeMessage(text.replaceAll('%3A', ':').replaceAll('%2C', ','));
}
