"use strict";
for (const button of document.querySelectorAll("button[data-copies]")) {
  const source = document.getElementById(button.dataset.copies);
  const status = button.parentElement.querySelector("[role=status]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      status.textContent = "copied";
    } catch {
      // Pages inside other pages may not write the clipboard.
      getSelection().selectAllChildren(source);
      status.textContent = "selected: press Ctrl+C";
    }
    setTimeout(() => { status.textContent = ""; }, 4000);
  });
}
