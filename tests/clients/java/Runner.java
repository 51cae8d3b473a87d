import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/**
 * Runs the main methods of Kafka's command line tools, and of the programs beside this file, in one virtual machine: a
 * start for each call would take longer than the call.
 *
 * <p>A line of standard input is a call: a number, the class, the base64 of its standard input, and the base64 of each
 * argument. When it has ended, a line of standard output says the number, the exit status, and the base64 of its output
 * and of its error output. Calls run beside each other. Each has the tools' classes for itself, because they keep
 * counters in static fields.
 */
public final class Runner {
    private static final InheritableThreadLocal<Call> CURRENT = new InheritableThreadLocal<>();
    private static PrintStream answers;

    /** Ends the tool's thread where it asked to exit. Tools that catch it exit once more: only the first counts. */
    private static final class Exited extends Error {
        private static final long serialVersionUID = 1;
    }

    private static final class Call {
        final String number;
        final String main;
        final String[] arguments;
        final InputStream input;
        final ByteArrayOutputStream output = new ByteArrayOutputStream();
        final ByteArrayOutputStream errors = new ByteArrayOutputStream();
        private final List<Runnable> hooks = new ArrayList<>();
        private Integer status;
        private boolean mute;

        Call(String[] words) {
            number = words[0];
            main = words[1];
            input = new ByteArrayInputStream(decode(words[2]));
            arguments = new String[words.length - 3];
            for (int i = 0; i < arguments.length; i++) {
                arguments[i] = new String(decode(words[i + 3]), StandardCharsets.UTF_8);
            }
        }

        void run() {
            CURRENT.set(this);
            exit(invoke(), null);
            muted(false);
            for (Runnable hook : hooks) {
                hook.run();
            }
            System.out.flush();
            System.err.flush();
            synchronized (answers) {
                answers.println(number + " " + status + " " + encode(output) + " " + encode(errors));
                answers.flush();
            }
        }

        synchronized void exit(int wanted, String message) {
            if (status != null) {
                return;
            }
            if (message != null) {
                System.err.println(message);
            }
            status = wanted;
            mute = true; // what is written between the exit and its hooks is not the tool's any more
        }

        synchronized void muted(boolean on) {
            mute = on;
        }

        synchronized boolean isMute() {
            return mute;
        }

        private int invoke() {
            try (URLClassLoader loader = new ToolLoader()) {
                Thread.currentThread().setContextClassLoader(loader);
                loader.loadClass(main).getMethod("main", String[].class).invoke(null, (Object) arguments);
                return 0;
            } catch (InvocationTargetException failure) {
                failure.getCause().printStackTrace();
                return 1;
            } catch (ReflectiveOperationException | IOException failure) {
                failure.printStackTrace();
                return 1;
            }
        }
    }

    /** Has the tools' own classes and those beside this one anew; everything else is shared. */
    private static final class ToolLoader extends URLClassLoader {
        private static final List<String> OWN = List.of("org.apache.kafka.tools.", "kafka.tools.", "kafka.admin.");

        ToolLoader() {
            super(classPath(), Runner.class.getClassLoader());
        }

        private static URL[] classPath() {
            List<URL> urls = new ArrayList<>();
            try {
                for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
                    urls.add(new File(path).toURI().toURL());
                }
            } catch (IOException failure) {
                throw new IllegalStateException(failure);
            }
            return urls.toArray(new URL[0]);
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            boolean own = OWN.stream().anyMatch(name::startsWith) || name.indexOf('.') < 0;
            if (!own || name.startsWith("Runner")) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded != null ? loaded : findClass(name);
            }
        }
    }

    /** Standard output or error output of whichever call the thread belongs to. */
    private static final class Split extends OutputStream {
        private final boolean errors;
        private final PrintStream otherwise;

        Split(boolean errors, PrintStream otherwise) {
            this.errors = errors;
            this.otherwise = otherwise;
        }

        private OutputStream target() {
            Call call = CURRENT.get();
            if (call == null) {
                return otherwise;
            }
            if (call.isMute()) {
                return OutputStream.nullOutputStream();
            }
            return errors ? call.errors : call.output;
        }

        @Override
        public void write(int b) throws IOException {
            target().write(b);
        }

        @Override
        public void write(byte[] bytes, int from, int length) throws IOException {
            target().write(bytes, from, length);
        }
    }

    private static final class SplitInput extends InputStream {
        @Override
        public int read() throws IOException {
            Call call = CURRENT.get();
            return call == null ? -1 : call.input.read();
        }

        @Override
        public int read(byte[] bytes, int from, int length) throws IOException {
            Call call = CURRENT.get();
            return call == null ? -1 : call.input.read(bytes, from, length);
        }
    }

    private static byte[] decode(String word) {
        return word.equals("-") ? new byte[0] : Base64.getDecoder().decode(word);
    }

    private static String encode(ByteArrayOutputStream bytes) {
        return bytes.size() == 0 ? "-" : Base64.getEncoder().encodeToString(bytes.toByteArray());
    }

    /** Kafka's own hook for this, which has moved between versions. */
    private static void catchExits() throws ReflectiveOperationException {
        Class<?> exit;
        try {
            exit = Class.forName("org.apache.kafka.common.utils.internals.Exit");
        } catch (ClassNotFoundException older) {
            exit = Class.forName("org.apache.kafka.common.utils.Exit");
        }
        for (Class<?> part : exit.getClasses()) {
            String name = part.getSimpleName();
            Object proxy = Proxy.newProxyInstance(part.getClassLoader(), new Class<?>[] {part}, (self, method, given) -> {
                if (name.equals("Procedure")) {
                    Call call = CURRENT.get();
                    if (call != null) {
                        call.exit((Integer) given[0], (String) given[1]);
                    }
                    throw new Exited();
                }
                Call call = CURRENT.get();
                if (call != null) {
                    call.hooks.add((Runnable) given[1]); // at the end of the call, as of a virtual machine of its own
                }
                return null;
            });
            if (name.equals("Procedure")) {
                exit.getMethod("setExitProcedure", part).invoke(null, proxy);
                exit.getMethod("setHaltProcedure", part).invoke(null, proxy);
            } else if (name.equals("ShutdownHookAdder")) {
                exit.getMethod("setShutdownHookAdder", part).invoke(null, proxy);
            }
        }
    }

    public static void main(String[] none) throws Exception {
        answers = System.out;
        System.setOut(new PrintStream(new Split(false, System.err), true));
        System.setErr(new PrintStream(new Split(true, System.err), true));
        InputStream calls = System.in;
        System.setIn(new SplitInput());
        catchExits();
        BufferedReader lines = new BufferedReader(new InputStreamReader(calls, StandardCharsets.US_ASCII));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Call call = new Call(line.split(" "));
            Thread thread = new Thread(call::run, call.main + " " + call.number);
            thread.setDaemon(true);
            thread.start();
        }
        System.exit(0);
    }

    private Runner() {}
}
