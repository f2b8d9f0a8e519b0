// A dialog over the page: the browser's own, so that focus stays inside and Escape closes it.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { IconButton } from "./parts";

interface ModalProps {
  /** Null where it is closed. */
  title: string | null;
  wide?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

export function Modal({ title, wide, onClose, children }: ModalProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const isOpen = title !== null;
  useEffect(() => {
    if (isOpen && dialog.current?.open === false) dialog.current.showModal();
  }, [isOpen]);
  const close = () => dialog.current?.close();
  return (
    <dialog
      ref={dialog}
      class={wide === true ? "wide" : ""}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && close()}
    >
      {isOpen && (
        <div class="dialog-body">
          <div class="dialog-head">
            <h2 id={id}>{title}</h2>
            <IconButton icon="close" label="Close" onClick={close} />
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}
