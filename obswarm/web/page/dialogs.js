// Dialogs of commands: the browser's own element, which keeps the focus inside and closes at Escape.

import { h, setText } from "./dom.js";

/* Show a dialog with these fields; `send` is an async function that is called at its button, whose error is shown in the
   dialog. The focus returns to where it was. */
export const ask = ({ title, text = null, fields = [], action, tone = "primary", send }) => {
  const problem = h("p", { class: "bad", role: "alert" });
  const confirm = h("button", { type: "submit", class: tone }, action);
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, title),
    text ? h("p", {}, text) : null,
    fields,
    problem,
    h("div", { class: "toolbar" }, confirm, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")),
  );
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    setText(problem, "");
    try {
      await send();
      dialog.close();
    } catch (error) {
      setText(problem, error.message);
      confirm.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
};

/* A labelled input of a dialog. */
export const labelled = (label, input) => h("label", { class: "field" }, label, input);
