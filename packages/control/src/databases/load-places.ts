import type { Caller } from '../access/caller.js';
import { controlError } from '../control-errors.js';
import type { DatabaseSettings } from './database-settings.js';

/** Room for loads at one time: a load may take as long as it likes, so no token gets all of it. */
export class LoadPlaces {
  readonly #held = new Set<{ readonly token: string }>();

  constructor(private readonly settings: Pick<DatabaseSettings, 'loadsMax' | 'loadsPerTokenMax'>) {}

  /** One, until it is disposed of. Throws `loads_exhausted`. */
  take({ scope, actor: { token } }: Caller): Disposable {
    this.#expectRoom();
    if (scope !== 'admin') this.#expectShare(token);
    const place = { token };
    this.#held.add(place);
    return { [Symbol.dispose]: () => void this.#held.delete(place) };
  }

  #expectRoom(): void {
    const { loadsMax } = this.settings;
    if (this.#held.size < loadsMax) return;
    throw controlError(
      'loads_exhausted',
      `${loadsMax} dumps are being loaded already (loadsMax ${loadsMax})`,
    );
  }

  #expectShare(token: string): void {
    const { loadsPerTokenMax: max } = this.settings;
    if ([...this.#held].filter((place) => place.token === token).length < max) return;
    throw controlError(
      'loads_exhausted',
      `${max} dumps are being loaded already for this token (loadsPerTokenMax ${max})`,
      {
        details: {
          action: "wait until one of this token's has ended, or raise the setting loadsPerTokenMax",
        },
      },
    );
  }
}
