// Begins the page.

const themes = ['auto', 'light', 'dark'];
let theme = 'auto';

const setTheme = (chosen) => {
  theme = chosen;
  document.documentElement.dataset.theme = chosen;
  byId('theme').textContent = { auto: '◐ auto', light: '☀ light', dark: '☾ dark' }[chosen];
  byId('theme').setAttribute('aria-label', `colours: ${chosen}; change`);
  try { localStorage.setItem('quintain-theme', chosen); } catch { /* storage may be off */ }
};

const show = () => { showMatrix(); showDatasets(); };

const summary = () => {
  const { models, datasets, modalities, seeds, runs, machines } = data.counts;
  const again = data.refresh ? ` · rebuilt while the sweep runs, loaded again every ${data.refresh} s` : '';
  return `${plural(models, 'model')} × ${plural(datasets, 'dataset')} of ${modalities} ${modalities === 1 ? 'kind' : 'kinds'} of data, `
    + `up to ${plural(seeds, 'seed')} · ${plural(runs, 'run')} on ${plural(machines, 'machine')}${again}`;
};

recall();
let kept = 'auto';
try { kept = localStorage.getItem('quintain-theme') || 'auto'; } catch { /* storage may be off */ }
setTheme(themes.includes(kept) ? kept : 'auto');
byId('theme').addEventListener('click', () => setTheme(themes[(themes.indexOf(theme) + 1) % themes.length]));
byId('summary').textContent = summary();
showFilters(show);
show();
showWords();
showOverall();
showAbout();
