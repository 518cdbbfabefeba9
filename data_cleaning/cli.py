import typer

app = typer.Typer(no_args_is_help=True, help="x")
@app.command()
def discover(a: str): 
    """d"""
    print(a)
@app.command()
def check(a: str): 
    """d"""
    print(a)
