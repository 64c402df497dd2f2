import { createRequire } from 'node:module';
// Types only; generated from the Rust source by the build of the addon.
import type * as native from '../native.js';
import { engineError } from './native-errors.js';

/** The addon; nothing outside this package sees it. */
type NativeAddon = typeof native;

let loaded: NativeAddon | undefined;

/** The addon, loaded at first use. Throws `engine_addon_missing`. */
export function nativeAddon(): NativeAddon {
  loaded ??= load();
  return loaded;
}

function load(): NativeAddon {
  try {
    return createRequire(import.meta.url)('../native.node') as NativeAddon;
  } catch (cause) {
    throw engineError('engine_addon_missing', 'the native engine cannot be loaded: run `npm run setup`', {
      cause,
    });
  }
}
