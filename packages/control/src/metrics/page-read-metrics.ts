import type { PageReads, PageServer } from '@offshoot/pageserver';
import type { CountedHistogram, Family, HistogramGroup, MetricGroup, Sample } from './metrics.js';

type Source = Pick<PageServer, 'catalog' | 'pageReadsOf'>;

const counter = (help: string): Family => ({ kind: 'counter', help, labels: ['tenant'] });

const families = {
  offshoot_getpage_redo_records_total: counter('WAL records that were applied to make pages'),
  offshoot_getpage_errors_total: counter('Pages that were asked for and could not be made'),
  offshoot_page_cache_bytes: {
    kind: 'gauge',
    help: 'Pages that took redo to make, and are kept in memory',
    labels: ['tenant'],
  },
} satisfies Record<string, Family>;

const histograms = {
  offshoot_getpage_seconds: 'How long it took to make a page that was asked for, by where it came from',
  offshoot_getpage_timelines: 'Timelines that were looked at for a page: its own, and ancestors',
};

/** Of the tenants that are open. */
function readsOf({ catalog, pageReadsOf }: Source): (PageReads & { readonly tenant: string })[] {
  return catalog.tenants().flatMap(({ id, name }) => {
    const reads = pageReadsOf(id);
    return reads === undefined ? [] : [{ ...reads, tenant: name }];
  });
}

/** How pages were made that were asked for, since the tenants were opened. */
export function pageReadMetrics(source: Source): MetricGroup<keyof typeof families> {
  return {
    name: 'page reads',
    families,
    read: () => {
      const reads = readsOf(source);
      const each = (of: (one: PageReads) => number): Sample[] =>
        reads.map((one) => ({ labels: { tenant: one.tenant }, value: of(one) }));
      return {
        offshoot_getpage_redo_records_total: each(({ records }) => records),
        offshoot_getpage_errors_total: each(({ errors }) => errors),
        offshoot_page_cache_bytes: each(({ cachedBytes }) => cachedBytes),
      };
    },
  };
}

export function pageReadHistograms(source: Source): HistogramGroup<keyof typeof histograms> {
  return {
    name: 'page read times',
    help: histograms,
    read: () => {
      const reads = readsOf(source);
      return {
        offshoot_getpage_seconds: reads.flatMap(({ tenant, sources, secondsBounds }) =>
          sources.map(
            ({ source, buckets, secondsSum }): CountedHistogram => ({
              labels: { tenant, source },
              bounds: secondsBounds,
              buckets,
              sum: secondsSum,
            }),
          ),
        ),
        offshoot_getpage_timelines: reads.map(
          ({ tenant, timelines, timelinesBounds, timelinesSum }): CountedHistogram => ({
            labels: { tenant },
            bounds: timelinesBounds,
            buckets: timelines,
            sum: timelinesSum,
          }),
        ),
      };
    },
  };
}
