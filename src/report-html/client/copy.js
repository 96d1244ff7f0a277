/** Buttons that copy a snippet, or mark it where a page may not copy. */

for (const button of document.querySelectorAll('button.copy')) {
  const snippet = button.closest('.snippet');
  const code = snippet.querySelector('code');
  button.hidden = false;
  button.setAttribute('aria-label', `Copy: ${snippet.querySelector('h3').textContent}`);
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = 'Marked';
    }
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 2000);
  });
}
