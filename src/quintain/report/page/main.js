// Starts the page.

const THEMES = ['auto', 'light', 'dark'];
let theme = 'auto';

const setTheme = (name) => {
  theme = name;
  document.documentElement.dataset.theme = name;
  byId('theme').textContent = { auto: '◐ auto', light: '☀ light', dark: '☾ dark' }[name];
  byId('theme').setAttribute('aria-label', `colours: ${name}; change`);
  try { localStorage.setItem('quintain-theme', name); } catch { /* storage may be off */ }
};

const savedTheme = () => {
  try { return localStorage.getItem('quintain-theme'); } catch { return null; }
};

const summaryText = () => {
  const { models, datasets, modalities, seeds, runs, machines } = data.counts;
  const refresh = data.refresh ? ` · rebuilt while the sweep runs, reloaded every ${data.refresh} s` : '';
  return `${plural(models, 'model')} × ${plural(datasets, 'dataset')} of ${modalities} ${modalities === 1 ? 'kind' : 'kinds'} of data, `
    + `up to ${plural(seeds, 'seed')} · ${plural(runs, 'run')} on ${plural(machines, 'machine')}${refresh}`;
};

const showResults = () => { showMatrix(); showDatasets(); showOverall(); };

// Printing shows everything: collapsed parts are opened and drawn before, and closed again afterwards.
let opened = [];
const openAll = () => {
  opened = [...document.querySelectorAll('details:not([open])')];
  opened.forEach((part) => { part.open = true; });
  document.querySelectorAll('#datasets > details').forEach(fillSection);
  document.querySelectorAll('details:not([open])').forEach((part) => { part.open = true; });
  document.querySelectorAll('figure').forEach((node) => drawNow.get(node)());
};
const closeAgain = () => { opened.forEach((part) => { part.open = false; }); opened = []; };

restoreChoices();
setTheme(THEMES.includes(savedTheme()) ? savedTheme() : 'auto');
byId('theme').addEventListener('click', () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]));
byId('summary').textContent = summaryText();
showFilters(showResults);
showResults();
showSentences();
showAbout();
addEventListener('beforeprint', openAll);
addEventListener('afterprint', closeAgain);
