# The dialog in a real GIMP under Xvfb, and undo: the same checks under GIMP 2.10 and 3.0.
#   window.py HOST PLUG_IN MODELS MODEL DIM [SCREENSHOT.png]     SCREENSHOT: also leaves pictures of the dialogs there
# SPDX-License-Identifier: LGPL-3.0-or-later
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from host import SKIP, Checks, Host, make_pictures, run

HERE = Path(__file__).resolve().parent
TOOLS = ["Xvfb", "openbox", "xdotool", "dbus-run-session", "gdbus"]
PATIENCE = 120  # seconds for any state to come: a machine may be busy
LONG_PATIENCE = 300  # the same for what a training does, which gives way to others


def wait_for(what, ask, patience=PATIENCE):
    """Asks until the answer is true, and answers it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise TimeoutError(f"{what} did not come in {patience} s")


class Screen:
    """An X server with a window manager; everything in it ends with it."""

    def __init__(self, host, log):
        self.env, self.log, self.children = host.env, log, []
        read, write = os.pipe()
        self.start(["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"], pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as pipe:
            self.env["DISPLAY"] = ":" + pipe.readline().strip()
        os.environ["DISPLAY"] = self.env["DISPLAY"]
        self.start(["openbox"])

    def start(self, command, **keywords):
        child = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, **keywords)
        self.children.append(child)
        return child

    def xdotool(self, *words):
        return run(["xdotool", *map(str, words)], env=self.env, capture_output=True).stdout.split()

    def close(self):
        for child in reversed(self.children):
            child.terminate()
        for child in reversed(self.children):
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


class Gimp:
    """GIMP with one image in its window. Script-Fu reaches it by D-Bus, so that what it holds can be asked."""

    def __init__(self, host, screen):
        self.host, self.screen, self.asked = host, screen, 0
        picture = host.folder / "start.ppm"
        picture.write_bytes(b"P6 200 150 255\n" + bytes([90, 120, 60]) * (200 * 150))
        rc = "(check-updates no)\n(color-profile-policy keep)\n"
        if host.number == 3:
            version = run([host.console, "--version"], env=host.env, capture_output=True).stdout.split()[-1]
            rc += f'(config-version "{version}")\n(show-welcome-dialog no)\n'
        (host.profile / "gimprc").write_text(rc)
        screen.start([host.program, "--no-splash", str(picture)])
        self.window = wait_for("GIMP's window", self.find_window)
    def find_window(self):
        found = self.screen.xdotool("search", "--onlyvisible", "--name", r"start.*GIMP|start.*GNU Image")
        return found and found[0]

    def evaluate(self, expression):
        """The value of a Script-Fu expression, as printed. `image` is the open one."""
        script, answer = self.host.folder / "ask.scm", self.host.folder / "answer"
        images = "(cadr (gimp-image-list))" if self.host.number == 2 else "(car (gimp-get-images))"
        script.write_text(f'(load "{HERE}/prelude-{self.host.number}.scm")\n(define image (vector-ref {images} 0))\n'
                          f'(define value {expression})\n(define port (open-output-file "{answer}"))\n'
                          "(write value port)\n(newline port)\n(close-output-port port)\n")
        answer.unlink(missing_ok=True)
        run(["gdbus", "call", "--session", "--dest", "org.gimp.GIMP.UI", "--object-path",
             "/org/gimp/GIMP/UI", "--method", "org.gimp.GIMP.UI.BatchRun", "plug-in-script-fu-eval",
             f'(load "{script}")'], env=self.host.env, stdout=self.screen.log, stderr=self.screen.log)
        # The call is queued: its answer comes later, and ends with a new line.
        return wait_for(expression, lambda: answer.exists() and answer.read_text().endswith("\n") and answer.read_text().strip())

    def wait_idle(self):
        """Until no plug-in runs: a layer is there before its undo group is closed."""
        wait_for("the plug-in's end", lambda: not self.host.plug_in_pids())

    def state(self):
        """Layers, and whether anything was done to the image since it was clean."""
        return self.evaluate("(list (length (layers-of image)) (car (gimp-image-is-dirty image)))")

    def keys(self, *keys):
        self.screen.xdotool("windowactivate", "--sync", self.window)
        time.sleep(0.3)
        self.screen.xdotool("key", *keys)

    def choose_menu_item(self, label):
        """GIMP 3 has accessible menus; in 2.10 the search of actions takes the label."""
        if self.host.number == 3:
            item = wait_for(label, lambda: find(application(self.program_name()), "menu item", label))
            item.get_action_iface().do_action(0)
            return
        self.keys("slash")
        search = wait_for("the search", lambda: self.screen.xdotool("search", "--onlyvisible", "--name", "Search Actions"))
        self.screen.xdotool("windowactivate", "--sync", search[0])
        self.screen.xdotool("type", "--delay", "30", label)
        time.sleep(1.5)
        self.screen.xdotool("key", "Return")

    def program_name(self):
        return "gimp"


def application(name):
    desktop = Atspi.get_desktop(0)
    for i in range(desktop.get_child_count()):
        child = desktop.get_child_at_index(i)
        if child is not None and child.get_name().startswith(name):
            return child
    return None


def find(root, role, name):
    """The first accessible of that role and name that is showing, or for menu items is there at all."""
    if root is None:
        return None
    try:
        showing = role == "menu item" or root.get_state_set().contains(Atspi.StateType.SHOWING)
        # newer at-spi says "button" for what was "push button"
        if root.get_role_name().removeprefix("push ") == role and root.get_name() == name and showing:
            return root
        children = [root.get_child_at_index(i) for i in range(min(root.get_child_count(), 400))]
    except GLib.Error:
        return None
    for child in children:
        found = find(child, role, name)
        if found is not None:
            return found
    return None


class Dialog:
    """Our window, driven by what its controls say of themselves."""

    def __init__(self, button="Generate"):
        wait_for("the dialog", lambda: self.find("button", button))

    def find(self, role, name):
        return find(application("gimp-dim"), role, name)

    def control(self, role, name):
        return wait_for(name, lambda: self.find(role, name))

    def press(self, name):
        self.control("button", name).get_action_iface().do_action(0)

    def set_number(self, name, value):
        self.control("spin button", name).get_value_iface().set_current_value(value)

    def set_text(self, name, text):
        self.control("text", name).get_editable_text_iface().set_text_contents(text)

    def choose_class(self, name):
        search = self.control("text", "Search a class")
        search.get_editable_text_iface().set_text_contents(name)
        wait_for(f"{name} as the first hit", lambda: self.first_class() == name)
        search.get_action_iface().do_action(0)

    def first_class(self):
        table = self.find("table", "Classes")
        cells = [table.get_child_at_index(i) for i in range(min(table.get_child_count(), 4))] if table else []
        names = [cell.get_name() for cell in cells if cell is not None and cell.get_role_name() == "table cell"]
        return names[0] if names else None

    def progress(self):
        bar = self.find("progress bar", "Progress")
        return bar.get_value_iface().get_current_value() if bar is not None else 0.0


def check_undo(gimp, class_a, check):
    """Layers of three sizes by script: each is one undo step, and after it the image is as it was."""
    for width, height in ((128, 128), (300, 200), (1024, 512)):
        gimp.evaluate(f'(begin (gimp-image-clean-all image) (dim-layer image "" "{class_a}" {width} {height} 2 0 1 "" "" "" "")'
                      " (gimp-displays-flush) 1)")
        gimp.wait_idle()
        check(f"{width}x{height}: a layer more", gimp.state() == "(2 1)", gimp.state())
        gimp.keys("ctrl+z")
        check_soon(f"{width}x{height}: one undo removes it, and no step is left", lambda: gimp.state() == "(1 0)", check)


def check_soon(name, ask, check):
    try:
        check(name, wait_for(name, ask, 20))
    except TimeoutError as error:
        check(name, False, str(error))


def check_stop(gimp, dialog, check):
    """Stop in the middle of sampling: quickly, nothing changes, the settings are back."""
    dialog.set_number("Width in pixels", 1024)
    dialog.set_number("Height in pixels", 1024)
    dialog.press("Generate")
    wait_for("sampling", lambda: dialog.progress() > 0.06)
    pressed = time.monotonic()
    dialog.press("Stop")
    dialog.control("button", "Generate")
    took = time.monotonic() - pressed
    check(f"Stop took {took:.1f} s, the polling of this test included", took < 3)
    check("Stop leaves the image alone", gimp.state().startswith("(1 "), gimp.state())


def check_generate(gimp, dialog, class_b, check):
    """A class and a size, Generate: the window closes, the layer is there as asked, one undo removes it."""
    gimp.evaluate("(begin (gimp-image-clean-all image) 1)")
    dialog.choose_class(class_b)
    dialog.set_number("Width in pixels", 96)
    dialog.set_number("Height in pixels", 64)
    dialog.press("Generate")
    gimp.wait_idle()
    check("Generate: a layer more", gimp.state() == "(2 1)", gimp.state())
    layer = "(car (layers-of image))"
    check("Generate: its size", gimp.evaluate(f"(list (width-of {layer}) (height-of {layer}))") == "(96 64)")
    name = gimp.evaluate(f"(car (gimp-item-get-name {layer}))")
    check("Generate: its name", name.startswith(f'"{class_b} #'), name)
    recipe = json.loads(json.loads(gimp.evaluate(f'(caddr (car (gimp-item-get-parasite {layer} "gimp-dim-recipe")))'),
                                   strict=False))
    check("Generate: its recipe", (recipe["class"], recipe["width"], recipe["height"]) == (class_b, 96, 64), str(recipe))
    gimp.keys("ctrl+z")
    check_soon("Generate: one undo removes it", lambda: gimp.state() == "(1 0)", check)


def check_last_values(gimp, class_b, check):
    """The next call without arguments has the dialog's values."""
    layer = gimp.evaluate("(dim-layer-mode RUN-WITH-LAST-VALS image)")
    name = gimp.evaluate(f"(car (gimp-item-get-name {layer}))")
    size = gimp.evaluate(f"(list (width-of {layer}) (height-of {layer}))")
    check("last values: the class", name.startswith(f'"{class_b} #'), name)
    check("last values: the size", size == "(96 64)", size)


def check_close(gimp, check):
    """Opened from the menu and closed in the middle of a run: nothing has changed."""
    before = gimp.state()
    gimp.choose_menu_item("Diffusion Layer...")
    dialog = Dialog()
    dialog.set_number("Width in pixels", 1024)
    dialog.set_number("Height in pixels", 1024)
    dialog.press("Generate")
    wait_for("sampling", lambda: dialog.progress() > 0.06)
    dialog.press("Close")
    gimp.wait_idle()
    check("closing in a run leaves the image alone", gimp.state() == before, gimp.state())


def check_new_image(gimp, check):
    """File > Create: an image of its own, in a window of its own."""
    count = "(car (gimp-image-list))" if gimp.host.number == 2 else "(vector-length (car (gimp-get-images)))"
    check("one image before", gimp.evaluate(count) == "1")
    gimp.choose_menu_item("Diffusion Image...")
    dialog = Dialog()
    dialog.set_number("Width in pixels", 80)
    dialog.set_number("Height in pixels", 48)
    dialog.press("Generate")
    gimp.wait_idle()
    check("a new image", gimp.evaluate(count) == "2")
    check_soon("its window", lambda: gimp.screen.xdotool("search", "--onlyvisible", "--name", "80x48.*GIMP"), check)


def fill_training(dialog, name, pictures, minutes):
    dialog.set_text("New class:", name)
    dialog.set_text("Folder of the pictures", str(pictures))
    dialog.control("spin button", "Time:").get_editable_text_iface().set_text_contents(minutes)


def check_training(gimp, pictures, shot, check):
    """From the menu: it outlives its window, is found again, stopped, resumed, removed."""
    training = gimp.host.data / "gimp-dim" / "training" / "default-brick"
    gimp.choose_menu_item("Train Diffusion Class...")
    dialog = Dialog("Start")
    if shot:
        take_picture(gimp, shot, "Train a Class")
    fill_training(dialog, "brick", pictures, "20")
    dialog.press("Start")
    dialog.control("button", "Stop")
    dialog.press("Close")
    gimp.wait_idle()
    first = wait_for("its first steps", lambda: steps_of(training), LONG_PATIENCE)
    gimp.choose_menu_item("Train Diffusion Class...")
    dialog = Dialog("Stop")
    check("the training is found again", True)
    dialog.press("Stop")
    dialog.control("button", "Resume default-brick")
    check("Stop leaves a checkpoint", (training / "checkpoint.safetensors").is_file())
    dialog.press("Resume default-brick")
    dialog.control("button", "Stop")
    wait_for("further steps", lambda: (steps_of(training) or 0) > first, LONG_PATIENCE)
    check("Resume goes on", True)
    dialog.press("Stop")
    for word in ("Remove default-brick", "Remove default-brick"):
        dialog.press(word)
    check_soon("Remove leaves nothing", lambda: not training.exists(), check)
    dialog.press("Close")
    gimp.wait_idle()


def steps_of(training):
    try:
        return json.loads((training / "progress.json").read_text()).get("step")
    except OSError:
        return None


def check_trained_class(gimp, pictures, check):
    """From the panel: when it is done the panel has the new model and class, and makes a layer of it."""
    gimp.choose_menu_item("Diffusion Layer...")
    dialog = Dialog()
    dialog.press("Train a class")
    dialog.control("button", "Start")
    fill_training(dialog, "slate", pictures, "0.05")
    dialog.press("Start")
    wait_for("the end of the training", lambda: (gimp.host.data / "gimp-dim" / "models" / "default-slate").is_dir(), LONG_PATIENCE)
    wait_for("the panel with it", lambda: dialog.find("button", "Start") is None and dialog.find("button", "Stop") is None)
    dialog.set_number("Width in pixels", 48)
    dialog.set_number("Height in pixels", 32)
    dialog.press("Generate")
    gimp.wait_idle()
    layer = "(car (layers-of image))"
    name = gimp.evaluate(f"(car (gimp-item-get-name {layer}))")
    check("a layer of the new class", name.startswith('"slate #'), name)
    recipe = json.loads(json.loads(gimp.evaluate(f'(caddr (car (gimp-item-get-parasite {layer} "gimp-dim-recipe")))'),
                                   strict=False))
    check("by the new model", recipe["model"] == "default-slate", str(recipe))


def check_import(gimp, shot, check):
    """From the panel: a checkpoint becomes a model, which the panel then has, and makes a layer of it."""
    gimp.choose_menu_item("Diffusion Layer...")
    dialog = Dialog()
    dialog.press("Import a model")
    dialog.control("button", "Import")
    dialog.set_text("Checkpoint:", str(HERE.parent / "golden" / "dit" / "forward-pixels" / "weights.safetensors"))
    dialog.set_text("Name:", "Little One")
    if shot:
        take_picture(gimp, shot, "Import a Checkpoint")
    dialog.press("Import")
    wait_for("the end of the import", lambda: (gimp.host.data / "gimp-dim" / "models" / "little-one" / "model.json").is_file())
    wait_for("the panel with it", lambda: dialog.find("button", "Import") is None and dialog.find("button", "Stop") is None)
    dialog.set_number("Width in pixels", 32)
    dialog.set_number("Height in pixels", 16)
    dialog.press("Generate")
    gimp.wait_idle()
    layer = "(car (layers-of image))"
    recipe = json.loads(json.loads(gimp.evaluate(f'(caddr (car (gimp-item-get-parasite {layer} "gimp-dim-recipe")))'),
                                   strict=False))
    check("a layer by the imported model", recipe["model"] == "little-one", str(recipe))


def take_picture(gimp, file, title="Diffusion Layer"):
    time.sleep(2)
    window = gimp.screen.xdotool("search", "--onlyvisible", "--name", f"^{title}$")[-1]
    run(["import", "-window", window, file], env=gimp.host.env)


def main():
    number, plug_in, models, model, dim = int(sys.argv[1]), *sys.argv[2:6]
    shot = sys.argv[7] if len(sys.argv) > 7 else None
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="gimp-dim-test-") as folder, open(Path(folder) / "log", "w") as log:
        host = Host(number, plug_in, models, folder)
        host.env["DBUS_SESSION_BUS_ADDRESS"] = os.environ["DBUS_SESSION_BUS_ADDRESS"]
        classes = json.loads(subprocess.check_output([dim, "info", "--json", Path(models) / model]))["classes"]
        screen = Screen(host, log)
        try:
            gimp = Gimp(host, screen)
            check_undo(gimp, classes[0], check)
            gimp.choose_menu_item("Diffusion Layer...")
            dialog = Dialog()
            if shot:
                take_picture(gimp, shot)
            check_stop(gimp, dialog, check)
            check_generate(gimp, dialog, classes[-1], check)
            check_last_values(gimp, classes[-1], check)
            check_close(gimp, check)
            check_new_image(gimp, check)
            # The default model from here on is one that learns in a moment.
            tiny = host.add_tiny_model() / "gimp-dim" / "models" / "tiny"
            tiny.rename(tiny.with_name("default"))
            pictures = make_pictures(host.folder / "pictures", 48)
            check_training(gimp, pictures, shot and shot.replace(".png", "-train.png"), check)
            check_trained_class(gimp, pictures, check)
            check_import(gimp, shot and shot.replace(".png", "-import.png"), check)
        except Exception:
            run(["import", "-window", "root", os.environ.get("GIMP_DIM_TEST_SCREEN", os.devnull)], env=host.env)
            print(Path(log.name).read_text(errors="replace")[-3000:])
            raise
        finally:
            screen.close()
    check.exit()


if __name__ == "__main__":
    for tool in TOOLS:
        if not shutil.which(tool):
            print(f"{tool} is not installed")
            sys.exit(SKIP)
    if "GIMP_DIM_TEST_BUS" not in os.environ:
        os.environ["GIMP_DIM_TEST_BUS"] = "1"
        os.execvp("dbus-run-session", ["dbus-run-session", "--", sys.executable, *sys.argv])
    import gi

    gi.require_version("Atspi", "2.0")
    from gi.repository import Atspi, GLib

    main()
