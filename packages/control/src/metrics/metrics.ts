import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What a metric is. The values of its labels are few: a tenant, a state, an error's code; never a branch. */
export interface Family {
  readonly kind: 'gauge' | 'counter';
  readonly help: string;
  readonly labels?: readonly string[];
}

export interface Sample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Metrics that are read together, by their names. What has no sample is not shown. */
export interface MetricGroup<Name extends string = string> {
  readonly name: string;
  readonly families: Readonly<Record<Name, Family>>;
  read(): Readonly<Record<Name, readonly Sample[]>> | Promise<Readonly<Record<Name, readonly Sample[]>>>;
}

/** A histogram that somebody else counts; each count is in the bucket of the first bound that is not less. */
export interface CountedHistogram {
  readonly labels: Readonly<Record<string, string>>;
  /** Upper bounds of all buckets but the last. */
  readonly bounds: readonly number[];
  /** One more than there are bounds. */
  readonly buckets: readonly number[];
  readonly sum: number;
}

/** Histograms that are read together, by their names. */
export interface HistogramGroup<Name extends string = string> {
  readonly name: string;
  readonly help: Readonly<Record<Name, string>>;
  read(): Readonly<Record<Name, readonly CountedHistogram[]>>;
}

/** A histogram of durations. */
export interface Durations<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
}

/** In seconds, from a hand-over to the longest wait for a branch. */
const BUCKETS_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 75,
];

interface Kept {
  readonly group: MetricGroup;
  readonly metrics: ReadonlyMap<string, Gauge | Counter>;
}

/** Everything that Prometheus can be told of the daemon. Each part adds its group; it is read when somebody asks. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #groups: Kept[] = [];
  readonly #histograms: HistogramGroup[] = [];
  /** As they were read last. */
  readonly #counted = new Map<string, readonly CountedHistogram[]>();
  readonly #failures: Counter<'group'>;

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    this.#failures = new Counter({
      name: 'offshoot_metrics_failures_total',
      help: 'Groups of metrics that could not be read, and so are missing',
      labelNames: ['group'],
      registers: [this.#registry],
    });
  }

  /** A name that is there already is a mistake and throws. */
  add<Name extends string>(group: MetricGroup<Name>): void {
    const metrics = new Map<string, Gauge | Counter>();
    for (const [name, { kind, help, labels = [] }] of Object.entries<Family>(group.families)) {
      const configuration = { name, help, labelNames: labels, registers: [this.#registry] };
      metrics.set(name, kind === 'gauge' ? new Gauge(configuration) : new Counter(configuration));
    }
    this.#failures.inc({ group: group.name }, 0);
    this.#groups.push({ group, metrics });
  }

  /** The same for histograms. */
  addHistograms<Name extends string>(group: HistogramGroup<Name>): void {
    for (const [name, help] of Object.entries<string>(group.help)) {
      const metric = {
        name,
        get: async () => ({
          name,
          help,
          type: 'histogram',
          aggregator: 'sum',
          values: (this.#counted.get(name) ?? []).flatMap((each) => lines(name, each)),
        }),
        reset: () => {},
      };
      // What prom-client asks of a metric, which its types do not say.
      this.#registry.registerMetric(metric as unknown as Histogram);
    }
    this.#failures.inc({ group: group.name }, 0);
    this.#histograms.push(group);
  }

  /** Answers how to count. A name that is there already is a mistake and throws. */
  counter<Label extends string>({
    name,
    help,
    labels,
  }: Durations<Label>): (labels: Readonly<Record<Label, string>>) => void {
    const counter = new Counter({ name, help, labelNames: [...labels], registers: [this.#registry] });
    return (values) => counter.inc(values);
  }

  /** Answers how to tell of one. A name that is there already is a mistake and throws. */
  durations<Label extends string>({
    name,
    help,
    labels,
  }: Durations<Label>): (labels: Readonly<Record<Label, string>>, ms: number) => void {
    const histogram = new Histogram({
      name,
      help,
      labelNames: [...labels],
      buckets: BUCKETS_SECONDS,
      registers: [this.#registry],
    });
    return (values, ms) => histogram.observe(values, ms / 1000);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In Prometheus' text format. A group that cannot be read is left out, and `onFailure` hears why. */
  async text(onFailure: (error: unknown) => void): Promise<string> {
    await Promise.all(this.#groups.map((kept) => this.#refresh(kept, onFailure)));
    for (const group of this.#histograms) this.#recount(group, onFailure);
    return await this.#registry.metrics();
  }

  #recount(group: HistogramGroup, onFailure: (error: unknown) => void): void {
    let counted: Readonly<Record<string, readonly CountedHistogram[]>> = {};
    try {
      counted = group.read();
    } catch (error) {
      this.#failures.inc({ group: group.name });
      onFailure(error);
    }
    for (const name of Object.keys(group.help)) this.#counted.set(name, counted[name] ?? []);
  }

  async #refresh({ group, metrics }: Kept, onFailure: (error: unknown) => void): Promise<void> {
    let samples: Readonly<Record<string, readonly Sample[]>> = {};
    try {
      samples = await group.read();
    } catch (error) {
      this.#failures.inc({ group: group.name });
      onFailure(error);
    }
    for (const [name, metric] of metrics) {
      // Tenants that are gone go from here too. Counters are kept by who counts, and shown as they are.
      metric.reset();
      // It would be 0, which nobody has said.
      metric.remove({});
      for (const { labels = {}, value } of samples[name] ?? []) {
        metric.inc(labels, value);
      }
    }
  }
}

/** As Prometheus has it: each bucket holds those before it too. */
function lines(name: string, { labels, bounds, buckets, sum }: CountedHistogram) {
  let count = 0;
  const upTo = buckets.map((bucket, at) => {
    count += bucket;
    return { metricName: `${name}_bucket`, labels: { le: bounds[at] ?? '+Inf', ...labels }, value: count };
  });
  return [
    ...upTo,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

/** A sample for each count, under a label. */
export function samplesBy(label: string, counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([key, value]) => ({ labels: { [label]: key }, value }));
}
