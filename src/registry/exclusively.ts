const running = new Map<string, Promise<unknown>>();

/** Runs what concerns the same key one after the other, within this process. */
export function exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
  const before = running.get(key) ?? Promise.resolve();
  const mine = before.catch(() => {}).then(work);
  running.set(key, mine);
  const forget = () => {
    if (running.get(key) === mine) running.delete(key);
  };
  mine.then(forget, forget);
  return mine;
}
