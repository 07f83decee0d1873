import { type Lab, startLab } from '../lab.ts';
import { type FaultProxy, startFaultProxy } from '../parts/fault-proxy.ts';
import { newRelease, type Release } from '../pipeline.ts';
import { publishEarlier } from '../synthetic-release.ts';
import { Oracles } from './oracles.ts';

/** The tag that an earlier release has set, and that a merge moves unless it is told otherwise. */
export const TAG = '1.2.3';

/** A lab that builds, signs and publishes. */
export interface Site {
  readonly lab: Lab;
  readonly oracles: Oracles;
  /** In front of the lab's registry: its host is the registry of the image names. */
  readonly registry: FaultProxy;
  close(): Promise<void>;
}

/** A run that is to move the tag of an image. */
export interface Upgrade {
  /** Without tag. */
  readonly image: string;
  /** The digest that the tag points at before: an image of an earlier release. */
  readonly earlier: string;
  readonly release: Release;
}

export async function openSite(): Promise<Site> {
  const lab = await startLab({ buildkit: true, registries: ['plain'], sigstore: true, artifacts: true });
  const registry = await startFaultProxy({ target: lab.registry('plain').url });
  const close = async (): Promise<void> => {
    await registry.close();
    await lab.close();
  };
  return { lab, oracles: new Oracles(lab), registry, close };
}

/** Publishes the earlier release of an image that nobody has used yet. @param name of its repository */
export async function prepareUpgrade({ lab, registry }: Site, name: string): Promise<Upgrade> {
  const image = `${registry.host}/acme/${name}`;
  const earlier = await publishEarlier(lab, image, TAG);
  return { image, earlier, release: newRelease(lab, [image]) };
}
